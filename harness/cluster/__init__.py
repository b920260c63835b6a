"""A Ray cluster seen from outside: jobs, what they ship, what their nodes need."""
