"""From a study to its trials: the catalogue, the missing trials, and a forecast of their time."""
