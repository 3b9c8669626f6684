"""The pure wing: from a labeling config and a task to a question, and from an answer to regions.

Nothing here touches network, clock, files or environment; the model and the fetching of media are handed in.
"""
