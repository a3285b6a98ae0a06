find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS unit_test_framework)
find_package(RocksDB REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(absl REQUIRED)
find_package(roaring REQUIRED)
find_package(OpenSSL)

# Debian's CAF ships neither a CMake package nor a pkg-config file.
find_path(CAF_INCLUDE_DIR caf/all.hpp REQUIRED)
find_library(CAF_CORE_LIBRARY caf_core REQUIRED)
add_library(caf_core INTERFACE)
target_include_directories(caf_core SYSTEM INTERFACE ${CAF_INCLUDE_DIR})
target_link_libraries(caf_core INTERFACE ${CAF_CORE_LIBRARY} Threads::Threads)

find_path(URING_INCLUDE_DIR liburing.h REQUIRED)
find_library(URING_LIBRARY uring REQUIRED)
add_library(uring INTERFACE)
target_include_directories(uring SYSTEM INTERFACE ${URING_INCLUDE_DIR})
target_link_libraries(uring INTERFACE ${URING_LIBRARY})

find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
find_library(XXHASH_LIBRARY xxhash REQUIRED)

# For the simulator, which allocates small things all the time. A sanitizer brings its own allocator.
find_library(JEMALLOC_LIBRARY jemalloc REQUIRED)

# Boost.JSON, header-only in Debian's libboost1.81-dev: its code is compiled once, here.
add_library(boost_json STATIC ${CMAKE_CURRENT_LIST_DIR}/boost_json.cpp)
target_link_libraries(boost_json PUBLIC tidemark_options Boost::headers)
