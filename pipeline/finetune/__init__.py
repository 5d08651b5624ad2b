"""From corrections to tuned models: the embedded trainer, and the training data and jobs around it."""
