"""For each law a point with its value, from the published constants in arithmetic of 40 decimal digits.

A law's first row is also where its other properties are tested. Adding a law adds its module's entry and a row here.
"""

from typing import NamedTuple

import numpy as np

from scalebayes import laws

HOFFMANN = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
HOFFMANN_UNROUNDED = {
    "E": np.exp(0.5267228),
    "A": np.exp(6.0073404),
    "B": np.exp(6.0179186),
    "alpha": 0.33917084,
    "beta": 0.2849083,
}
KAPLAN = {"N_c": 6.4e13, "D_c": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103}

LLAMA = {
    "E": np.exp(0.09),
    "A": np.exp(14.45 * 0.253),
    "B": np.exp(16.33 * 0.253),
    "alpha": 0.645 * 0.253,
    "beta": 0.626 * 0.253,
    "gamma": 0.253,
}
MUENNIGHOFF = {
    "E": np.exp(0.6254804),
    "A": np.exp(6.255414),
    "B": np.exp(7.3049974),
    "alpha": 0.3526596,
    "beta": 0.3526596,
    "R_D": 15.387756,
    "R_N": 5.309743,
}
LUDZIEJEWSKI = {
    "c": 1.3637,
    "a": 35.91,
    "b": 35.98,
    "alpha": 0.1889,
    "beta": 0.1775,
    "gamma": 0.0098,
    "delta": -0.2285,
    "zeta": -0.0259,
    "omega": 0.5529,
    "E_start": 1.0,
    "E_max": 1e12,
}
TWO = {"x": 3000.0, "E": 0.4, "A": 2.0, "alpha": 0.1, "delta_1": 0.5, "d_1": 600.0, "f_1": 0.2}
TWO |= {"delta_2": -0.4, "gap_2": 2.0, "f_2": 0.3}
# Rates of 1e-4, 3e-4 and 2e-4: what `segments` reads of each step, its rate, drop, sum from here on and steps from here.
THREE_STEPS = np.array([[1e-4, -1e-4, 6e-4, 3.0], [3e-4, -2e-4, 5e-4, 2.0], [2e-4, 1e-4, 2e-4, 1.0]], dtype=float)


class Row(NamedTuple):
    """A law's inputs and parameters, and its value there."""

    law: object
    at: dict
    expected: float
    source: str


ROWS = {
    "chinchilla-hoffmann": Row(
        laws.chinchilla,
        {"N": 70e9, "D": 1.4e12, **HOFFMANN},
        1.936645470558717504,
        "Hoffmann et al. (2022), arXiv:2203.15556, eq. 10, at the N and D of Chinchilla",
    ),
    "chinchilla-hoffmann-unrounded": Row(
        laws.chinchilla,
        {"N": 70e9, "D": 1.4e12, **HOFFMANN_UNROUNDED},
        1.920846026565606196,
        "Hoffmann et al. (2022), arXiv:2203.15556, comment after eq. 10 in the TeX source: unrounded constants",
    ),
    "kaplan-joint": Row(
        laws.kaplan,
        {"N": 1e9, "D": 20e9, **KAPLAN},
        2.373882448217487035,
        "Kaplan et al. (2020), arXiv:2001.08361, eq. 1.5 with the constants of table 2",
    ),
    "power-kaplan-parameters": Row(
        laws.power,
        {"x": 1e9, "A": 8.8e13**0.076, "alpha": 0.076},
        2.375640295134524783,
        "Kaplan et al. (2020), arXiv:2001.08361, eq. 1.1: L(N) = (N_c / N)**alpha_N, N_c = 8.8e13",
    ),
    "power_floor-cerebras": Row(
        laws.power_floor,
        {"x": 2.3e22, "E": 0.5066, "A": 5.984e22**0.0737, "alpha": 0.0737},
        1.579612887911151413,
        "Dey et al. (2023), arXiv:2304.03208: L(f) = (f / 5.984e22)**-0.0737 + 0.5066",
    ),
    "broken_power-addition": Row(
        laws.broken_power,
        {
            "x": 800.0,
            "E": 0.41388453,
            "A": 2.27727229,
            "alpha": 0.05507735,
            "delta_1": 5.66290382,
            "d_1": 612.583617,
            "f_1": 0.05919304,
        },
        0.760188316650895040,
        "Caballero et al. (2023), arXiv:2210.14891: their constants of four-digit addition, at 800 examples",
    ),
    "saturating_power-half": Row(
        laws.saturating_power,
        {"x": 100.0, "E": 0.2, "L_0": 1.0, "A": 12.0, "alpha": 0.5, "delta": 2.0},
        0.5,
        "Alabdulmohsin et al. (2022), arXiv:2209.06640, M4: (0.5 - 0.2) / (1 - 0.5)**2 = 12 * 100**-0.5",
    ),
    "sigmoid-half": Row(
        laws.sigmoid,
        {"x": 100.0, "E": 0.2, "L_0": 1.0, "A": 6.0, "alpha": 0.5},
        0.5,
        "Alabdulmohsin et al. (2022), arXiv:2209.06640, M4 with delta = 1: (0.5 - 0.2) / (1 - 0.5) = 6 * 100**-0.5",
    ),
    "shifted_power": Row(
        laws.shifted_power,
        {"x": 1e7, "x_0": 3e7, "A": 50.0, "alpha": 0.3},
        0.432963838586645091,
        "Bansal et al. (2022), arXiv:2202.01994: beta (1/D + gamma)**p",
    ),
    "log_law": Row(
        laws.log_law,
        {"x": 1e9, "p": 5.0, "q": 0.1},
        2.927673416305358884384,
        "5 - 0.1 ln 1e9; the limit of a power, arXiv:1712.00409",
    ),
    "rectified_power": Row(
        laws.rectified_power,
        {"x": 1e5, "E": 0.8, "B": 500.0, "D_l": 100.0, "beta": 0.5},
        2.001265366760210739999,
        "Lin et al. (2024), arXiv:2402.02314",
    ),
    "delayed_power": Row(
        laws.delayed_power,
        {"x": 10.0, "E": 0.09, "K": 0.26, "x_0": 0.01, "alpha": 0.35},
        0.206097113168429567,
        "Zhai et al. (2022), arXiv:2106.04560: constants of fine-tuned models",
    ),
    "elo": Row(
        laws.elo,
        {"N": 1e6, "c": -900.0, "alpha": 0.88},
        1212.000000000000000000,
        "Neumann and Gros (2022), arXiv:2210.00849: 400 alpha for a decade",
    ),
    "u_shape": Row(
        laws.u_shape,
        {"x": 1e9, "y_0": 0.4, "k": 0.02, "x_0": 3e7},
        0.6459189657451426231868,
        "a parabola in ln x, as in arXiv:2211.02011",
    ),
    "rising_sigmoid": Row(
        laws.rising_sigmoid,
        {"C": 1e4, "R_0": 0.25, "A": 0.75, "B": 0.8, "C_mid": 5e4},
        0.3581338657495089858836,
        "Khatri et al. (2025), arXiv:2510.13786",
    ),
    "broken_power_2": Row(
        laws.broken_power_2,
        TWO,
        0.8133884260078054926757,
        "Caballero et al. (2023), arXiv:2210.14891, two breaks",
    ),
    "broken_power_3": Row(
        laws.broken_power_3,
        TWO | {"delta_3": 0.3, "gap_3": 1.0, "f_3": 0.1},
        0.8133884146748039016424,
        "Caballero et al. (2023), arXiv:2210.14891, three breaks",
    ),
    "droppo": Row(
        laws.droppo,
        {"N": 1e8, "D": 1e9, "L_inf": 0.7, "N_c": 1e6, "D_c": 1e7, "alpha_N": 0.5, "alpha_D": 0.4, "alpha": 0.8},
        0.8335976268167017026448,
        "Droppo and Elibol (2021), arXiv:2106.09488",
    ),
    "outer_power": Row(
        laws.outer_power,
        {"N": 1e9, "D": 2e10, **LLAMA},
        2.750955209186646831022,
        "Beck et al. (2025), arXiv:2510.02228: constants of the Transformer",
    ),
    "over_training": Row(
        laws.over_training,
        {"C": 1e20, "M": 640.0, "E": 1.622226, "a": 5.0, "b": 200.0, "eta": 0.128531},
        1.887336670099204252678,
        "Gadre et al. (2024), arXiv:2403.08540, eq. 4",
    ),
    "rosenfeld": Row(
        laws.rosenfeld,
        {"n": 1e4, "m": 1e6, "eps_0": 0.9, "a": 100.0, "b": 30.0, "c_inf": 0.1, "alpha": 0.7, "beta": 0.6, "eta": 1.0},
        0.2313752883163878535344,
        "Rosenfeld et al. (2020), arXiv:1909.12673, eq. 5",
    ),
    "encoder_decoder": Row(
        laws.encoder_decoder,
        {"N_e": 3e8, "N_d": 1e8, "L_inf": 1.2, "a": 1e4, "p_e": 0.18, "p_d": 0.31},
        2.186547894749859725860,
        "Ghorbani et al. (2021), arXiv:2109.07740",
    ),
    "critical_batch": Row(
        laws.critical_batch,
        {
            "N": 1e9,
            "S": 1e5,
            "B": 5e5,
            "N_c": 8.8e13,
            "S_c": 2.1e3,
            "alpha_N": 0.076,
            "alpha_S": 0.76,
            "B_star": 2e8,
            "alpha_B": 0.21,
        },
        2.568890201069002797038,
        "Kaplan et al. (2020), arXiv:2001.08361, eq. 5.3 to 5.6, solved by bisection",
    ),
    "farseer": Row(
        laws.farseer,
        {
            "N": 1e9,
            "D": 2e10,
            "a_1": -0.01,
            "b_1": -1.0,
            "alpha": 0.15,
            "a_2": 0.01,
            "b_2": 5.0,
            "beta": 0.2,
            "a_3": -0.02,
            "b_3": 0.1,
            "gamma": 0.17,
        },
        0.8218526809094281856401,
        "Li et al. (2025), arXiv:2506.10972",
    ),
    "vocabulary": Row(
        laws.vocabulary,
        {
            "N_nv": 1e9,
            "N_v": 6e7,
            "D": 1e11,
            "E": 6.0,
            "A_1": 30.0,
            "A_2": 2.0,
            "B": 90.0,
            "alpha_1": 0.2,
            "alpha_2": 0.15,
            "beta": 0.2,
        },
        -4.820429593647954615395,
        "Tao et al. (2024), arXiv:2407.13623",
    ),
    "repeated_data-first": Row(
        laws.repeated_data,
        {"N": 6.34e9, "D": 242e9, "U": 25e9, **MUENNIGHOFF},
        2.2256440889984477,
        "Muennighoff et al. (2023), arXiv:2305.16264, and the data of their repository",
    ),
    "repeated_data-second": Row(
        laws.repeated_data,
        {"N": 8.67e9, "D": 178e9, "U": 25e9, **MUENNIGHOFF},
        2.2269634075087867,
        "Muennighoff et al. (2023), arXiv:2305.16264, and the data of their repository",
    ),
    "transfer": Row(
        laws.transfer,
        {"N": 1e8, "D_F": 1e7, **KAPLAN, "k": 1e3, "alpha": 0.18, "beta": 0.38},
        3.950298135915131286773,
        "Hernandez et al. (2021), arXiv:2102.01293",
    ),
    "sparse": Row(
        laws.sparse,
        {
            "N": 1e8,
            "D": 1e10,
            "S": 0.75,
            "c": 0.6,
            "a_S": 17.0,
            "b_S": 0.7,
            "c_S": 45.0,
            "b_N": 0.245,
            "a_D": 7e8,
            "b_D": 0.2,
        },
        1.751563948090875141381,
        "Frantar et al. (2023), arXiv:2309.08520, eq. 1",
    ),
    "average_size": Row(
        laws.average_size,
        {"N_1": 4e9, "N_2": 1e9, "D_1": 1e10, "D_2": 3e10, **HOFFMANN},
        2.424148773661471560174,
        "Jin et al. (2025), arXiv:2501.12486, with the constants of arXiv:2203.15556",
    ),
    "upcycled": Row(
        laws.upcycled,
        {
            "N": 1e9,
            "P": 8.0,
            "D_1": 1e10,
            "D_2": 2e10,
            "E": 1.5,
            "A": 80.0,
            "B": 30.0,
            "alpha_1": 0.1,
            "alpha_2": 0.2,
            "alpha_3": 0.002,
            "beta_1": 0.1,
            "beta_2": 0.25,
        },
        1.844646423260759246474,
        "Liew et al. (2025), arXiv:2502.03009",
    ),
    "precision": Row(
        laws.precision,
        {
            "N": 1e9,
            "D": 2e10,
            "P_w": 4.0,
            "P_a": 8.0,
            "P_kv": 16.0,
            **HOFFMANN,
            "gamma_w": 2.7,
            "gamma_a": 2.2,
            "gamma_kv": 1.0,
        },
        2.616005886181308583641,
        "Kumar et al. (2024), arXiv:2411.04330, eq. 3",
    ),
    "quantised": Row(
        laws.quantised,
        {"N": 1e9, "D": 1e11, "P": 3.0, **HOFFMANN, "C_T": 0.06, "gamma_D": 0.5, "gamma_N": 0.5, "gamma": 0.6},
        2.389607751949469433575,
        "Kumar et al. (2024), arXiv:2411.04330, eq. 2",
    ),
    "parallel": Row(
        laws.parallel,
        {"N": 1e9, "P": 8.0, "E": 1.2, "A": 60.0, "alpha": 0.2, "k": 0.35},
        2.052417443288518375700,
        "Chen et al. (2025), arXiv:2505.10475, eq. 5",
    ),
    "retrieval": Row(
        laws.retrieval,
        {"N": 1e9, "D": 2e10, "R": 5e9, **HOFFMANN, "C": 0.3, "R_0": 1e9, "gamma": 0.3},
        2.755305076558353480265,
        "a third additive power, as in arXiv:2407.12854",
    ),
    "routed_experts": Row(
        laws.routed_experts,
        {"N": 1.3e9, "E": 64.0, "a": -0.082, "b": -0.108, "c": 0.009, "d": 1.104, "E_start": 1.847, "E_max": 314.478},
        2.049778792603909555200,
        "Clark et al. (2022), arXiv:2202.01169: constants of S-Base",
    ),
    "fine_grained_experts": Row(
        laws.fine_grained_experts,
        {
            "N": 1e9,
            "D": 2e10,
            "G": 8.0,
            "c": 0.47,
            "a": 18.1,
            "g": 2.1,
            "b": 30.8,
            "alpha": 0.115,
            "beta": 0.147,
            "gamma": 0.58,
        },
        3.140393115994835267566,
        "Krajewski et al. (2024), arXiv:2402.07871, eq. 9 (the formula; its constants are not reproduced)",
    ),
    "joint_experts": Row(
        laws.joint_experts,
        {"N": 1e9, "D": 2e10, "E": 32.0, **LUDZIEJEWSKI},
        2.451340570352762074721,
        "Ludziejewski et al. (2025), arXiv:2502.05172: 2.4513406 for 32 experts that count",
    ),
    "filtered_data": Row(
        laws.filtered_data,
        {"n": 3.5e7, "U": 1e7, "d": 0.2, "a": 20.0, "b": 0.3, "tau": 3.0},
        0.3219075251855005416944,
        "Goyal et al. (2024), arXiv:2404.07177, eq. 3, term by term",
    ),
    "pruned_data": Row(
        laws.pruned_data,
        {"P": 1e6, "f": 0.5, "E": 0.1, "A": 20.0, "alpha": 0.4, "kappa": 0.5, "rate": 0.2},
        0.1495072657813691000800,
        "after Sorscher et al. (2022), arXiv:2206.14486",
    ),
    "data_mixing": Row(
        laws.data_mixing(["web", "code"]).function,
        {"r": np.array([0.7, 0.3]), "c": 2.0, "k": 1.0, "t_web": -0.5, "t_code": -1.0},
        2.522045776761016047895,
        "Ye et al. (2024), arXiv:2403.16952, eq. 6",
    ),
    "annealing": Row(
        laws.annealing,
        {"eta": THREE_STEPS, "L_0": 2.5, "A": 0.05, "alpha": 0.45, "C": 500.0, "lam": 0.9},
        4.184146244186410256380,
        "Tissue et al. (2024), arXiv:2408.11029, eq. 1, summed step by step",
    ),
    "multi_power": Row(
        laws.multi_power,
        {"eta": THREE_STEPS, "L_0": 2.5, "A": 0.05, "alpha": 0.45, "B": 400.0, "C": 2.0, "beta": 0.6, "gamma": 0.6},
        3.918637684498468066639,
        "Luo et al. (2025), arXiv:2503.12811, eq. 2, summed step by step",
    ),
    "step_law": Row(
        laws.step_law,
        {
            "N": 1e9,
            "D": 2e10,
            "lr": 1e-3,
            "batch": 1e6,
            **HOFFMANN,
            "k": 1.79,
            "p": 0.713,
            "q": 0.307,
            "m": 0.58,
            "r": 0.571,
            "h_lr": 0.01,
            "h_batch": 0.02,
            "h_both": -0.2,
        },
        2.597290146452507894135,
        "Li et al. (2025), arXiv:2503.04715: the optimum; the bowl about it is ours",
    ),
    "error_from_loss": Row(
        laws.error_from_loss,
        {"L": 3.0, "eps": 0.75777, "k": 1.88112, "gamma": 1.09776},
        0.6879205212595152814710,
        "Gadre et al. (2024), arXiv:2403.08540, eq. 5, refitted on C4",
    ),
    "accuracy_from_loss": Row(
        laws.accuracy_from_loss,
        {"L": 0.7, "low": 0.25, "high": 0.95, "k": 6.0, "L_mid": 0.8},
        0.7019594143580568170364,
        "Bhagia et al. (2024), arXiv:2412.04403",
    ),
    "pass_rate": Row(
        laws.pass_rate,
        {"x": 100.0, "c": 3.0, "alpha": 0.5},
        0.7408182206817178660669,
        "Hu et al. (2024), arXiv:2310.03262: exp(-0.3)",
    ),
    "bleu": Row(
        laws.bleu,
        {"D": 1e9, "A": 0.01, "alpha": 0.6, "beta": 1.5},
        21.90493196403533070425,
        "Isik et al. (2024), arXiv:2402.04177, eq. 1",
    ),
}
