// The blur of a stamp by a banded matrix B: out = B (factor * image) B^T. Each sum goes
// through its terms in the order of the columns, with one fused operation a term, as the
// matrix products of torch do; banded.py checks on each machine that the bits are theirs.

#include <cstdint>
#include <cstring>

namespace {

constexpr int64_t LANES = 16;
typedef float Lanes __attribute__((vector_size(LANES * sizeof(float))));

Lanes loaded(const float* values) {
    Lanes lanes;
    std::memcpy(&lanes, values, sizeof lanes);
    return lanes;
}

struct Band {
    const float* rows;       // (size, terms): the entries of each row from column first[row]
    const int64_t* first;    // (size)
    const float* diagonals;  // (terms, width): diagonals from -terms / 2 on
    int64_t terms;
    int64_t size;
    int64_t width;  // size, filled up to whole LANES
};

// TERMS = band.terms where it is known when this is compiled, else 0.
template <int64_t TERMS>
void blur_one(const Band& band, float factor, const float* image, float* out, float* scaled,
              float* padded) {
    const int64_t terms = TERMS ? TERMS : band.terms;
    const int64_t size = band.size;
    const int64_t width = band.width;
    for (int64_t i = 0; i < size; ++i) {
        for (int64_t j = 0; j < size; ++j) {
            scaled[i * width + j] = image[i * size + j] * factor;
        }
    }
    for (int64_t i = 0; i < size; ++i) {
        const float* weights = band.rows + i * terms;
        const float* rows = scaled + band.first[i] * width;
        for (int64_t j = 0; j < width; j += LANES) {
            Lanes sum = {};
            for (int64_t k = 0; k < terms; ++k) {
                sum = sum + weights[k] * loaded(rows + k * width + j);
            }
            std::memcpy(padded + terms / 2 + j, &sum, sizeof sum);
        }
        for (int64_t j = 0; j < width; j += LANES) {
            Lanes sum = {};
            for (int64_t k = 0; k < terms; ++k) {
                sum = sum + loaded(padded + j + k) * loaded(band.diagonals + k * width + j);
            }
            const int64_t count = size - j < LANES ? size - j : LANES;
            std::memcpy(out + i * size + j, &sum, size_t(count) * sizeof(float));
        }
    }
}

}  // namespace

// Blur n images (size, size). `scaled` (size, width) and `padded` (width + 2 terms) are
// room to work in, zero at the start.
extern "C" void blur(const float* rows, const int64_t* first, const float* diagonals,
                     int64_t terms, int64_t size, int64_t width, float factor,
                     const float* images, float* out, int64_t n, float* scaled,
                     float* padded) {
    const Band band = {rows, first, diagonals, terms, size, width};
    for (int64_t i = 0; i < n; ++i) {
        const float* image = images + i * size * size;
        float* target = out + i * size * size;
        switch (terms) {
            case 3: blur_one<3>(band, factor, image, target, scaled, padded); break;
            case 5: blur_one<5>(band, factor, image, target, scaled, padded); break;
            case 7: blur_one<7>(band, factor, image, target, scaled, padded); break;
            case 9: blur_one<9>(band, factor, image, target, scaled, padded); break;
            case 13: blur_one<13>(band, factor, image, target, scaled, padded); break;
            default: blur_one<0>(band, factor, image, target, scaled, padded);
        }
    }
}
