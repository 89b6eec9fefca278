"""What both processes need, once. Imports the contract; imported by producer and consumer."""
