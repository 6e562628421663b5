"""Networks: one file a family; registry.py names them."""
