#include "isa/memory.h"

#include <algorithm>

namespace amlm::isa {

namespace {

// The first mapping that starts above `va`.
auto after(const std::vector<Mapping>& mappings, u64 va) {
  return std::upper_bound(mappings.begin(), mappings.end(), va,
                          [](u64 address, const Mapping& mapping) { return address < mapping.va; });
}

}  // namespace

const Mapping* AddressSpace::find(u64 va) const {
  const auto above = after(mappings_, va);
  if (above == mappings_.begin()) return nullptr;
  const Mapping& below = *(above - 1);
  return va - below.va < below.size_bytes ? &below : nullptr;
}

const Mapping* AddressSpace::nearest(u64 va) const {
  if (mappings_.empty()) return nullptr;
  const auto above = after(mappings_, va);
  if (above == mappings_.begin()) return &*above;
  const Mapping& below = *(above - 1);
  const u64 below_end = below.va + below.size_bytes;
  if (va < below_end || above == mappings_.end()) return &below;
  return va - below_end <= above->va - va ? &below : &*above;
}

void AddressSpace::insert(Mapping mapping) {
  check(mapping.size_bytes != 0 && mapping.va + mapping.size_bytes > mapping.va,
        "a mapping has a size and does not wrap");
  const auto above = after(mappings_, mapping.va);
  check(above == mappings_.end() || mapping.va + mapping.size_bytes <= above->va, "mappings do not overlap");
  check(above == mappings_.begin() || (above - 1)->va + (above - 1)->size_bytes <= mapping.va,
        "mappings do not overlap");
  mappings_.insert(above, std::move(mapping));
}

void AddressSpace::erase(u64 va) {
  const auto above = after(mappings_, va);
  check(above != mappings_.begin() && (above - 1)->va == va, "a mapping starts at the erased address");
  mappings_.erase(above - 1);
}

}  // namespace amlm::isa
