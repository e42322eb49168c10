"""What runs leave: the store, the tables made from it, published numbers, costs."""
