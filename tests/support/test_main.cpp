// The entry point of every test program: Boost.Test's runner, linked dynamically.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE tidemark
#include <boost/test/unit_test.hpp>
