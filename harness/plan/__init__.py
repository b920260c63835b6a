"""From a study to its trials: the catalogue, what is missing, how long that takes."""
