"""ForwardGNN: Forward Learning of Graph Neural Networks (ICLR 2024)."""
