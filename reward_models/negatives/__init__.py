"""Music that no person wrote, by generator family: what classifiers of real music are fitted to and measured on."""
