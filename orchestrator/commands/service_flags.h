// Where the orchestrator service is: flags that all its clients take.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "common/flags.h"
#include "orchestrator/service/orchestrator_client.h"

namespace regatta {

inline constexpr char kServiceGroup[] = "Service";

// Adds --service alone; --tls-* and --insecure are AddTlsFlags.
inline void AddServiceFlag(CLI::App& command, ServiceAddress& service) {
  command.add_option("--service", service.url, "grpc://HOST:PORT of `regatta orchestrator`")
      ->capture_default_str()
      ->group(kServiceGroup);
}

// " --service grpc://bench:9500", for commands that a person is told; empty for the usual address.
inline std::string ServiceWords(const ServiceAddress& service) {
  return service.url == ServiceAddress().url ? "" : " --service " + service.url;
}

}  // namespace regatta
