"""What things are: values and rules without I/O."""
