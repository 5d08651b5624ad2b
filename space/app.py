"""What a Space starts: the app, after what hardware of the kind ZeroGPU asks for. It lies there as ``space_app.py``."""

from space.zero import announce  # first: the package ``spaces`` must be imported before gradio is

if __name__ == "__main__":
    import app

    announce()
    app.main()
