"""Which records speak of these words?"""
