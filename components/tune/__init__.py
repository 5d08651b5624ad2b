"""The tab of training files, fine-tunes, and the models that came of them."""
