# How each of the configurations speaks to its node.

terraform {
  required_providers {
    proxmox = { source = "bpg/proxmox" }
  }
}

variable "endpoint" { type = string }
variable "password" {
  type      = string
  sensitive = true
}
variable "image_url" { type = string }
variable "iso_path" { type = string }
variable "folder" { type = string }
variable "template" { type = string }
# Whether it is the second version of the configuration.
variable "later" {
  type    = bool
  default = false
}

provider "proxmox" {
  endpoint = var.endpoint
  username = "admin@pve"
  password = var.password
  insecure = true
}

locals {
  node    = "pve1"
  storage = "local"
}
