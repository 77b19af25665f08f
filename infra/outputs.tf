output "stacks" {
  description = "What is known of each stack, by Alexa region: the location for its functions, and the part of their environment that this configuration decides."
  value = {
    for region, stack in var.regions : region => {
      location    = stack.location
      environment = module.stack[region].environment
    }
  }
}
