# Third-party libraries, each with the reason for its choice. All are Debian 12 / Ubuntu 24.04 packages (scripts/install-deps.sh).
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# gRPC + protobuf: the field's RPC; streams, deadlines, mTLS and health checking are theirs.
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
# Abseil: Status, flat hash maps, strings; gRPC brings it anyway.
find_package(absl CONFIG REQUIRED)
# nlohmann-json: the most used C++ JSON library; tokenizer.json, config.json, safetensors headers, reports.
find_package(nlohmann_json 3.10 REQUIRED)
# yaml-cpp: configuration files in TensorRT-LLM's YAML.
find_package(yaml-cpp REQUIRED)
if(NOT TARGET yaml-cpp::yaml-cpp)  # 0.7 exports the bare name, 0.8 the namespaced one.
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()
# CLI11: subcommands and help texts.
find_package(CLI11 CONFIG REQUIRED)
# PCRE2 and ICU: tokenizer split patterns with Unicode classes; NFC normalisation.
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(ICU REQUIRED IMPORTED_TARGET icu-uc)
# sentencepiece: the reference reader of tokenizer.model.
pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)
# OpenSSL: test certificate authority of `regatta certs`, TLS of the HTTP edge and of downloads.
find_package(OpenSSL REQUIRED)
# Boost.Beast and Boost.Asio (headers only): HTTP, server and client.
find_package(Boost 1.74 REQUIRED CONFIG)
# SQLite: the orchestrator service's list of runs; one file, transactions that survive a crash.
find_package(SQLite3 REQUIRED)
# prometheus-cpp: counters, gauges, histograms and their text format.
find_package(prometheus-cpp CONFIG REQUIRED)
# Chart.js: the most used chart library that both distributions package; one file of 200 kB, within report.html.
find_file(CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js NO_DEFAULT_PATH REQUIRED)

if(REGATTA_TESTS)
  find_package(GTest REQUIRED)       # The field's C++ test framework, with GoogleMock.
  find_package(benchmark REQUIRED)   # Google Benchmark: repetitions, JSON output.
  # OpenBLAS: the yardstick of our CPU products, in their benchmark only.
  pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
endif()

if(REGATTA_STATIC)
  include(static)
endif()
