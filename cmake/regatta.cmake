# Target helpers: one line per library, test or benchmark, with explicit dependencies.

# Most of a file's compile time is its headers: eight files at once share them. Kernels are compiled one by one, each with its flags;
# so are tests, which are few files each.
function(regatta_compile_in_batches NAME)
  string(FIND "${CMAKE_CURRENT_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/tests" in_tests)
  if(NOT in_tests EQUAL 0 AND NOT NAME MATCHES "^kernels")
    set_target_properties(${NAME} PROPERTIES UNITY_BUILD ${REGATTA_UNITY} UNITY_BUILD_BATCH_SIZE 8)
    if(REGATTA_UNITY)
      # GCC takes the files of a batch for headers, in which types of unnamed namespaces would be suspect.
      target_compile_options(${NAME} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
    endif()
  endif()
endfunction()

# regatta_library(NAME SRCS a.cc ... DEPS lib ...): a static library, or an interface library when it has headers only.
function(regatta_library NAME)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  if(ARG_SRCS)
    add_library(${NAME} STATIC ${ARG_SRCS})
    target_link_libraries(${NAME} PUBLIC ${ARG_DEPS})
    regatta_compile_in_batches(${NAME})
  else()
    add_library(${NAME} INTERFACE)
    target_link_libraries(${NAME} INTERFACE ${ARG_DEPS})
  endif()
endfunction()

# regatta_program(NAME SRCS main.cc ... DEPS lib ...): an executable in <build>/bin.
function(regatta_program NAME)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${NAME} ${ARG_SRCS})
  target_link_libraries(${NAME} PRIVATE ${ARG_DEPS} build_commit)
  set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()

# regatta_test(NAME SRCS x_test.cc DEPS lib ... LABELS unit TIMEOUT 60): one ctest entry per binary.
# Labels: unit, sim, kernel, parallel, e2e, gpu; "long" tests run under `make test-long` only.
function(regatta_test NAME)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SRCS;DEPS;LABELS;ARGS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${NAME} ${ARG_SRCS})
  target_link_libraries(${NAME} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${NAME} PRIVATE
    REGATTA_SOURCE_DIR="${CMAKE_SOURCE_DIR}" REGATTA_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
  add_test(NAME ${NAME} COMMAND ${NAME} ${ARG_ARGS})
  set_tests_properties(${NAME} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()

# regatta_benchmark(NAME SRCS x_bench.cc DEPS lib ...): a Google Benchmark binary, run by `make bench`.
# Built by the target `benchmarks` alone.
function(regatta_benchmark NAME)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${NAME} EXCLUDE_FROM_ALL ${ARG_SRCS})
  if(NOT TARGET benchmarks)
    add_custom_target(benchmarks)
  endif()
  add_dependencies(benchmarks ${NAME})
  target_link_libraries(${NAME} PRIVATE ${ARG_DEPS} benchmark::benchmark_main benchmark::benchmark)
  set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
endfunction()

# regatta_proto_library(NAME FILES a.proto ... GRPC): generated messages, and service stubs when GRPC is given.
function(regatta_proto_library NAME)
  cmake_parse_arguments(ARG "GRPC" "" "FILES;DEPS" ${ARGN})
  set(generated)
  foreach(file ${ARG_FILES})
    get_filename_component(stem ${file} NAME_WE)
    set(base ${CMAKE_BINARY_DIR}/proto/${stem})
    set(outputs ${base}.pb.cc ${base}.pb.h)
    set(plugin_args)
    if(ARG_GRPC)
      list(APPEND outputs ${base}.grpc.pb.cc ${base}.grpc.pb.h)
      set(plugin_args --grpc_out=${CMAKE_BINARY_DIR} --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN})
    endif()
    add_custom_command(OUTPUT ${outputs}
      COMMAND protobuf::protoc --proto_path=${CMAKE_SOURCE_DIR} --cpp_out=${CMAKE_BINARY_DIR}
              ${plugin_args} ${CMAKE_SOURCE_DIR}/proto/${file}
      DEPENDS ${CMAKE_SOURCE_DIR}/proto/${file} VERBATIM)
    list(APPEND generated ${outputs})
  endforeach()
  add_library(${NAME} STATIC ${generated})
  target_link_libraries(${NAME} PUBLIC protobuf::libprotobuf ${ARG_DEPS})
  if(ARG_GRPC)
    target_link_libraries(${NAME} PUBLIC gRPC::grpc++)
  endif()
endfunction()

# regatta_embedded_files(OUT FUNCTION F HEADER h FILES x.html ...): sets OUT to a generated source that defines
# `absl::Span<const EmbeddedFile> F()`, declared in HEADER, over the text files, so that programs need none of them at run time.
function(regatta_embedded_files OUT)
  cmake_parse_arguments(ARG "" "FUNCTION;HEADER" "FILES" ${ARGN})
  list(TRANSFORM ARG_FILES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ REGEX "^[^/]")  # others are absolute
  list(JOIN ARG_FILES "|" joined)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${ARG_FUNCTION}.cc)
  add_custom_command(OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} "-DOUT=${source}" "-DFUNCTION=${ARG_FUNCTION}" "-DHEADER=${ARG_HEADER}" "-DFILES=${joined}"
            -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${ARG_FILES} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
  set(${OUT} ${source} PARENT_SCOPE)
endfunction()
