// Boost.JSON's code, compiled once for every program.
#include <boost/json/src.hpp>
