"""Published models of images."""
