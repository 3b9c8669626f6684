"""How do data enter and leave in files? One module for each kind of data; none of them speaks to a network."""
