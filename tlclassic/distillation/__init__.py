"""What a big model knows, moved into a small one."""
