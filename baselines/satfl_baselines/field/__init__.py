"""The systems of the field side by side: `satfl field`. A file in `systems` is all that another one takes."""
