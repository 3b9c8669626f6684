"""A newcomer's first minute: a real Label Studio with sample projects, and this backend connected to each."""
