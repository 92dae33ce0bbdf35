"""How runs depart from every law beyond their noise."""
