"""How a view is answered from what a store holds: newest rows, events swept at an instant, and expressions of them."""
