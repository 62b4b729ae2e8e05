#include "tools/virtual_counters.h"

#include <dlfcn.h>

#include <string>

namespace amlm::tools {

nlohmann::json read_virtual_counters() {
  // driver/virtual/hooks.h; nothing links the library, so the name is looked up in what was preloaded.
  using Read = std::size_t (*)(char* json, std::size_t size);
  const auto read = reinterpret_cast<Read>(dlsym(RTLD_DEFAULT, "amlm_vgpu_counters"));
  if (read == nullptr) return nullptr;
  std::string text(read(nullptr, 0) + 4096, '\0');   // the counts may grow a digit between the calls
  text.resize(std::min(read(text.data(), text.size()), text.size()));
  return nlohmann::json::parse(text.c_str(), nullptr, false);
}

nlohmann::json subtract_counters(const nlohmann::json& after, const nlohmann::json& before) {
  nlohmann::json out = nlohmann::json::object();
  for (const auto& [key, value] : after.items())
    if (value.is_number_unsigned()) out[key] = value.get<std::uint64_t>() - before.value(key, std::uint64_t{0});
    else if (value.is_number()) out[key] = value.get<double>() - before.value(key, 0.0);
  return out;
}

}  // namespace amlm::tools
