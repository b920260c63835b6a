"""Where trials run: in this process (serial) or on a Ray cluster (ray_pool), behind one interface (base)."""
