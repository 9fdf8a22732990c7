# How everything is compiled: warnings are errors, one portable x86-64 baseline with run-time dispatch above it.
add_compile_options(
  -Wall -Wextra -Wpedantic -Werror
  -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wnull-dereference -Wimplicit-fallthrough
  -Wno-gnu-zero-variadic-macro-arguments
  -Wno-missing-designated-field-initializers  # fields have defaults
  -fno-omit-frame-pointer -fstack-protector-strong)
add_link_options(-fuse-ld=lld-19)

if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  add_compile_options(-march=x86-64-v2)
endif()

set(OTTLA_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")
if(OTTLA_SANITIZE)
  add_compile_options(-fsanitize=${OTTLA_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${OTTLA_SANITIZE})
endif()

option(OTTLA_COVERAGE "Measure coverage" OFF)
if(OTTLA_COVERAGE)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()

option(OTTLA_FUZZ "Build the fuzz targets" OFF)
if(OTTLA_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
