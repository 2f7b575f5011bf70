# What a capacity plan writes: instances of single functions, and what they may need together.
mock_provider "google" {}
mock_provider "archive" {}

variables {
  project_id  = "shop-test-123"
  environment = "prod"
  # archives are what tests/terraform looks into; without them a run takes a second
  pinned_sources = { for name in keys(yamldecode(file("../functions.yaml")).entries) : name => "${name}/earlier.zip" }
}

run "a_function_has_its_own_limit_and_the_others_keep_theirs" {
  command = plan

  variables {
    function_instances = { products = 35 }
    database           = { max_connections = 1500 }
  }

  assert {
    condition     = local.entries["products"].max_instances == 35 && local.entries["cart"].max_instances == yamldecode(file("../functions.yaml")).entries.cart.max_instances
    error_message = "the limit is not that of the function alone"
  }
}

run "an_emergency_limit_lowers_every_function" {
  command = plan

  variables {
    function_instances = { products = 5 }
    max_instances      = 1
  }

  assert {
    condition     = alltrue([for entry in values(local.entries) : entry.max_instances == 1])
    error_message = "max_instances does not limit all functions"
  }
}

run "a_function_must_exist" {
  command         = plan
  expect_failures = [var.function_instances]

  variables {
    function_instances = { product = 5 }
  }
}

run "a_job_has_one_instance" {
  command         = plan
  expect_failures = [var.function_instances]

  variables {
    function_instances = { similarity = 2 }
  }
}

run "a_function_has_an_instance_at_least" {
  command         = plan
  expect_failures = [var.function_instances]

  variables {
    function_instances = { products = 0 }
  }
}

run "a_thousand_instances_are_within_the_quota" {
  command = plan

  variables {
    function_instances = { events = 1000 }
  }

  assert {
    condition     = local.entries["events"].max_instances == 1000
    error_message = "the quota's own number is refused"
  }
}

run "more_instances_need_a_higher_quota" {
  command         = plan
  expect_failures = [var.function_instances]

  variables {
    function_instances = { events = 1001 }
  }
}

run "connections_that_just_fit" {
  command = plan

  variables {
    function_instances = { products = 20 }
    # those of all functions and jobs with their limits of functions.yaml, and 15
    database = { max_connections = 1200 }
  }

  assert {
    condition     = local.connections + 15 <= 1200 && local.connections + 15 + 2 * local.pool_size.http * 20 > 1200
    error_message = "the examples of this file no longer lie beside the limit"
  }
}

run "connections_of_more_instances_are_refused" {
  command         = plan
  expect_failures = [google_sql_database_instance.this]

  variables {
    function_instances = { products = 40 }
    database           = { max_connections = 1200 }
  }
}

run "the_connector_carries_six_tenths" {
  command = plan

  variables {
    network_mbps = 600
  }

  assert {
    condition     = google_vpc_access_connector.this[0].max_instances == 10 && local.connector_mbps == 600
    error_message = "the connector of prod has another throughput"
  }
}

run "more_than_the_connector_carries_is_refused" {
  command         = plan
  expect_failures = [google_vpc_access_connector.this]

  variables {
    network_mbps = 601
  }
}

run "direct_egress_carries_more" {
  command = plan

  variables {
    network_mbps = 601
    vpc_egress   = "direct"
  }

  assert {
    condition     = length(google_vpc_access_connector.this) == 0
    error_message = "there is still a connector"
  }
}

run "a_small_connector_carries_less" {
  command         = plan
  expect_failures = [google_vpc_access_connector.this]

  variables {
    environment  = "dev"
    network_mbps = 91
  }
}

run "addresses_that_the_subnetwork_lacks_are_refused" {
  command         = plan
  expect_failures = [google_compute_subnetwork.functions]

  variables {
    vpc_egress         = "direct"
    function_instances = { web = 200 }
    database           = { max_connections = 5000 }
  }
}

run "throughput_is_not_negative" {
  command         = plan
  expect_failures = [var.network_mbps]

  variables {
    network_mbps = -1
  }
}

run "a_large_disk_grows_to_the_largest_that_there_is" {
  command = plan

  variables {
    database = { tier = "db-custom-96-638976", disk_gb = 6554 }
  }

  assert {
    condition     = google_sql_database_instance.this.settings[0].disk_autoresize_limit == 65536
    error_message = "the disk may grow beyond what Cloud SQL has"
  }
}

run "a_disk_beyond_the_largest_is_refused" {
  command = plan

  variables {
    database = { disk_gb = 65537 }
  }

  expect_failures = [var.database]
}

run "an_odd_number_of_processors_is_refused" {
  command = plan

  variables {
    database = { tier = "db-custom-3-11520" }
  }

  expect_failures = [var.database]
}

run "more_processors_than_cloud_sql_has_are_refused" {
  command = plan

  variables {
    database = { tier = "db-custom-98-376320" }
  }

  expect_failures = [var.database]
}

run "more_memory_than_the_processors_may_have_is_refused" {
  command = plan

  variables {
    database = { tier = "db-custom-2-13568" }
  }

  expect_failures = [var.database]
}

run "the_smallest_custom_machine_and_the_largest_disk_are_accepted" {
  command = plan

  variables {
    database = { tier = "db-custom-1-3840", disk_gb = 65536 }
  }

  assert {
    condition     = google_sql_database_instance.this.settings[0].disk_size == 65536
    error_message = "the disk has another size"
  }
}

run "a_disk_below_a_tenth_of_the_largest_grows_tenfold" {
  command = plan

  variables {
    database = { disk_gb = 6553 }
  }

  assert {
    condition     = google_sql_database_instance.this.settings[0].disk_autoresize_limit == 65530
    error_message = "the disk does not grow tenfold"
  }
}

run "memory_in_other_steps_is_refused" {
  command = plan

  variables {
    database = { tier = "db-custom-2-7681" }
  }

  expect_failures = [var.database]
}

run "less_memory_than_the_processors_need_is_refused" {
  command = plan

  variables {
    database = { tier = "db-custom-8-7168" }
  }

  expect_failures = [var.database]
}
