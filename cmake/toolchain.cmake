set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(TIDEMARK_SANITIZE "" CACHE STRING "Comma-separated sanitizers, e.g. address,undefined")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
if(TIDEMARK_SANITIZE)
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")  # compiles in half the time
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # Precompiled headers and ccache agree only with these sloppiness settings; the others let clones share what was compiled.
  # DEPEND: by the files' own bytes. The preprocessor's output is the same when only a comment changed, but a precompiled header that remembers
  # other bytes of a file does not honour its #pragma once.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_DEPEND=1 CCACHE_NAMESPACE=tidemark ${CCACHE})
endif()

add_library(tidemark_options INTERFACE)
target_include_directories(tidemark_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(tidemark_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Werror
  $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
target_compile_definitions(tidemark_options INTERFACE XXH_INLINE_ALL SPDLOG_NO_EXCEPTIONS=0)
if(TIDEMARK_SANITIZE)
  # Sanitizers make g++ see uninitialised reads where there are none (GCC bugs 80635, 96259).
  target_compile_options(tidemark_options INTERFACE -fsanitize=${TIDEMARK_SANITIZE}
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized> -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(tidemark_options INTERFACE -fsanitize=${TIDEMARK_SANITIZE})
endif()

# tidemark_addresses_only(TARGET): of the sanitizers, this target goes without that of undefined behaviour, which doubles what its templates
# cost the compiler. What computes with foreign bytes (engine, storage, transport) has both, and so have its tests. Where such a target calls an
# inline function of theirs out of line, the linker may take its version, which looks at addresses alone.
function(tidemark_addresses_only target)
  if(TIDEMARK_SANITIZE MATCHES undefined)
    target_compile_options(${target} PRIVATE -fno-sanitize=undefined)
  endif()
endfunction()

find_program(LLD ld.lld)
if(LLD)
  target_link_options(tidemark_options INTERFACE -fuse-ld=lld)
endif()
