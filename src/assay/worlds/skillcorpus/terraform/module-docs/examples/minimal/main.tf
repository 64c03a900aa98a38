module "site" {
  source = "../.."
  name   = "docs"
  region = "eu-north-1"
}
