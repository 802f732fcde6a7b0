// A regatta-router process with the dense bundled model's tokenizer, for benchmarks that ask what
// the router alone costs.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace regatta {

class RouterProcess {
 public:
  // Starts it over the worker at `worker`, with more `arguments`, and waits until it serves.
  RouterProcess(const std::string& worker, const std::vector<std::string>& arguments);
  ~RouterProcess();
  RouterProcess(const RouterProcess&) = delete;
  RouterProcess& operator=(const RouterProcess&) = delete;

  // Of gRPC and of HTTP, host:port.
  const std::string& address() const { return address_; }
  const std::string& http_address() const { return http_address_; }
  double ResidentMb() const;
  // User and kernel time of all its threads so far.
  double CpuSeconds() const;

 private:
  std::filesystem::path directory_;
  std::string address_;
  std::string http_address_;
  pid_t pid_ = 0;
};

}  // namespace regatta
