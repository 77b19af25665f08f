output "arns" {
  description = "ARNs of the Lambdas, by Alexa region: the endpoints to enter in the developer console."
  value = merge(
    { for proxy in module.proxy_na : "NA" => proxy.function_arn },
    { for proxy in module.proxy_eu : "EU" => proxy.function_arn },
    { for proxy in module.proxy_fe : "FE" => proxy.function_arn },
  )
}
