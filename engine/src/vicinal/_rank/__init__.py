"""In which order do the found records come back?"""
