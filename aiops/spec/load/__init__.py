"""From the text of the files to desired state, with every problem by file and line."""
