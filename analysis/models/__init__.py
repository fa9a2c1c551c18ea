"""Systems of the field for Action Units, expression and affect, one file each."""
