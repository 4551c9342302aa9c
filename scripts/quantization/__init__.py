"""What goes beyond openqnn's plain recipe: equalised channels, widths, search, frontier."""
