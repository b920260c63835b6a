"""Kernels that apply local filters: C++ on a CPU, Triton on a GPU, and plain torch anywhere."""
