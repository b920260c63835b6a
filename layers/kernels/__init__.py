"""How local filters are applied: C++ on a CPU, Triton on a GPU, and torch alone anywhere."""
