"""Lengths that arrays are made up to, so that tables of similar length share a compilation."""


def round_size(n: int) -> int:
    """The next of a few sizes, at most an eighth larger from 64 on: 97 and 103 both become 104."""
    step = max(8, 1 << max(n.bit_length() - 4, 0))
    return -(-n // step) * step
