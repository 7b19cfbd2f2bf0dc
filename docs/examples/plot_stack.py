"""
How do I restore a stack of planes?
===================================

A stack is restored plane by plane: read the planes, give each to
:func:`deblurlib.restore <deblurlib.restoration.restore>`, write them again.
Light that reached a plane from its neighbours stays in it, for this is no
deconvolution in three dimensions.
"""

print("to come")
