"""What is here in the libraries of others; each module needs its library, see the page on bridges."""
