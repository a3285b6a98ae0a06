// `volume compare`: every copy's log digest and block checksums at one LSN.
#include "actors/admin_json.hpp"
#include "actors/control_admin.hpp"

namespace tidemark::actors {

void ControlAdmin::compare() {
  answer(answer_error({engine::Errc::not_yet, "compare is not built yet"}));
}

}  // namespace tidemark::actors
