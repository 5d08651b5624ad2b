"""What programs may ask, by Gradio's client and by plain HTTP."""
