"""Ray clusters as seen by a client: jobs, the files they ship and the environment of their nodes."""
