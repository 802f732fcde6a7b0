// tests/testing/hub_server.py as a child process of a test.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "orchestrator/cluster/child_process.h"
#include "tests/testing/temp_dir.h"

namespace regatta::testing {

class HubServer {
 public:
  // Serves `root`; `arguments` are the script's.
  HubServer(const std::string& root, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"/usr/bin/env", "python3", REGATTA_SOURCE_DIR "/tests/testing/hub_server.py",
                      "--root", root, "--port-file", dir_.File("port"), "--log", log_path()});
    auto child = ChildProcess::Start("hub", arguments, dir_.File("output"));
    EXPECT_TRUE(child.ok()) << child.status();
    child_ = *std::move(child);
    for (int i = 0; i < 2000 && port_ == 0; ++i) {
      std::ifstream(dir_.File("port")) >> port_;
      absl::SleepFor(absl::Milliseconds(5));
    }
    EXPECT_NE(port_, 0) << child_->LogTail(20);
  }

  int port() const { return port_; }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_); }

  // One line per request: METHOD HOST PATH auth=... range=...
  std::vector<std::string> Requests() const {
    std::ifstream file(log_path());
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

 private:
  std::string log_path() const { return dir_.File("log"); }

  TempDir dir_;
  std::unique_ptr<ChildProcess> child_;
  int port_ = 0;
};

}  // namespace regatta::testing
