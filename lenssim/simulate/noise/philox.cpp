// Random words by counter, normal deviates from them, the noise of a CCD, and dither. See
// deviates.py and the storage's dither.py, whose numpy functions give the same bits: each
// operation here is one that IEEE 754 rounds exactly, and the compiler may not contract two of
// them into one.

#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

constexpr int STEP = 128;  // counters at a time, so that they stay in the first cache

struct Words {
    uint32_t at[4][STEP];
};

float as_float(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

uint32_t as_bits(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

// Philox4x32-10 (Salmon et al. 2011): the counters become random words.
void philox(Words& words, uint32_t key0, uint32_t key1) {
    for (int round = 0; round < 10; ++round) {
        for (int i = 0; i < STEP; ++i) {
            const uint64_t product0 = uint64_t(0xD2511F53u) * words.at[0][i];
            const uint64_t product1 = uint64_t(0xCD9E8D57u) * words.at[2][i];
            words.at[0][i] = uint32_t(product1 >> 32) ^ words.at[1][i] ^ key0;
            words.at[1][i] = uint32_t(product1);
            words.at[2][i] = uint32_t(product0 >> 32) ^ words.at[3][i] ^ key1;
            words.at[3][i] = uint32_t(product0);
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

// ln of a positive normal number, by the polynomial of Cephes' logf.
float logarithm(float value) {
    const uint32_t bits = as_bits(value);
    const int32_t exponent = int32_t(bits - 0x3F3504F3u) >> 23;  // mantissa in [0.7, 1.4)
    const float x = as_float(bits - (uint32_t(exponent) << 23)) - 1.0f;
    const float e = float(exponent);
    const float square = x * x;
    float y = 7.0376836292e-2f;
    y = y * x + -1.1514610310e-1f;
    y = y * x + 1.1676998740e-1f;
    y = y * x + -1.2420140846e-1f;
    y = y * x + 1.4249322787e-1f;
    y = y * x + -1.6668057665e-1f;
    y = y * x + 2.0000714765e-1f;
    y = y * x + -2.4999993993e-1f;
    y = y * x + 3.3333331174e-1f;
    y = y * x * square;
    y = y + e * -2.12194440e-4f;
    y = y - 0.5f * square;
    return x + y + e * 0.693359375f;
}

// Two normal deviates from two words (Box & Muller 1958).
void box_muller(const uint32_t* length, const uint32_t* angle, float* first, float* second) {
    for (int i = 0; i < STEP; ++i) {
        const float uniform = (float(length[i]) + 0.5f) * 0x1p-32f;
        const float radius2 = logarithm(uniform) * -2.0f;
        const float radius = std::sqrt(radius2 > 0.0f ? radius2 : 0.0f);
        // 31 bits are an angle of +-90 degrees, in half turns; one bit turns it round
        const float t = float(int32_t(angle[i] << 1)) * 0x1p-32f;
        const uint32_t sign = angle[i] & 0x80000000u;
        const float square = t * t;
        float cosine = -0.02439593f;
        cosine = cosine * square + 0.23493707f;
        cosine = cosine * square + -1.33521195f;
        cosine = cosine * square + 4.05870915f;
        cosine = cosine * square + -4.93480214f;
        cosine = cosine * square + 1.0f;
        float sine = 0.07765591f;
        sine = sine * square + -0.59829041f;
        sine = sine * square + 2.55007739f;
        sine = sine * square + -5.16771008f;
        sine = sine * square + 3.14159264f;
        sine = sine * t;
        first[i] = as_float(as_bits(radius * cosine) ^ sign);
        second[i] = as_float(as_bits(radius * sine) ^ sign);
    }
}

// STEP random words of each quarter of the pixels of one band.
void quarter_words(uint32_t key0, uint32_t key1, int64_t number, int64_t band, int64_t start,
                   Words& words) {
    for (int i = 0; i < STEP; ++i) {
        words.at[0][i] = uint32_t(start + i);
        words.at[1][i] = uint32_t(band);
        words.at[2][i] = uint32_t(number);
        words.at[3][i] = uint32_t(uint64_t(number) >> 32);
    }
    philox(words, key0, key1);
}

// Call write(words, first pixel, count) for all pixels of one band.
template <typename Write>
void each_word_run(uint32_t key0, uint32_t key1, int64_t number, int64_t band, int64_t pixels,
                   Write write) {
    const int64_t quarter = (pixels + 3) / 4;
    Words words;
    for (int64_t start = 0; start < quarter; start += STEP) {
        quarter_words(key0, key1, number, band, start, words);
        write(words, start);
    }
}

// Call write(values of a quarter, first pixel, count) for the pixels that exist.
template <typename Value, typename Write>
void each_quarter(const Value (*values)[STEP], int64_t start, int64_t pixels, Write write) {
    const int64_t quarter = (pixels + 3) / 4;
    for (int64_t lane = 0; lane < 4; ++lane) {
        const int64_t first = lane * quarter + start;
        int64_t count = quarter - start < STEP ? quarter - start : STEP;
        if (count > pixels - first) count = pixels - first;
        if (count > 0) write(values[lane], first, count);
    }
}

// Call write(deviates, first pixel, count) for all pixels of one band.
template <typename Write>
void each_run(uint32_t key0, uint32_t key1, int64_t number, int64_t band, int64_t pixels,
              Write write) {
    each_word_run(key0, key1, number, band, pixels, [=](const Words& words, int64_t start) {
        float deviates[4][STEP];
        box_muller(words.at[0], words.at[1], deviates[0], deviates[1]);
        box_muller(words.at[2], words.at[3], deviates[2], deviates[3]);
        each_quarter(deviates, start, pixels, write);
    });
}

// The nearest half of a float below 2^16 whose last 13 bits are zero; subnormals to even.
uint16_t as_half(uint32_t bits) {
    const uint32_t sign = bits & 0x80000000u;
    const uint32_t size = bits ^ sign;
    const uint32_t subnormal = as_bits(as_float(size) + 0.5f) - 0x3F000000u;
    const uint32_t normal = (size - 0x38000000u) >> 13;
    return uint16_t((size < 0x38800000u ? subnormal : normal) | (sign >> 16));
}

// Call round(word, pixel of the image, scale) for all pixels, and store what it returns.
template <typename Stored, typename Round>
void dither(uint32_t key0, uint32_t key1, const int64_t* numbers, int64_t n, int64_t bands,
            int64_t pixels, const float* images, const float* scales, Stored* out,
            Round round) {
    for (int64_t image = 0; image < n * bands; ++image) {
        const float scale = scales[image];
        const float* light = images + image * pixels;
        Stored* target = out + image * pixels;
        each_word_run(
            key0, key1, numbers[image / bands], image % bands, pixels,
            [=](const Words& words, int64_t start) {
                each_quarter(words.at, start, pixels,
                             [=](const uint32_t* random, int64_t first, int64_t count) {
                                 for (int64_t j = 0; j < count; ++j) {
                                     target[first + j] =
                                         round(random[j], light[first + j], scale);
                                 }
                             });
            });
    }
}

}  // namespace

extern "C" {

// Fill `out` (n, bands, pixels) with deviates of the samples `numbers` (n).
void normal_deviates(uint32_t key0, uint32_t key1, const int64_t* numbers, int64_t n,
                     int64_t bands, int64_t pixels, float* out) {
    for (int64_t i = 0; i < n; ++i) {
        for (int64_t band = 0; band < bands; ++band) {
            float* target = out + (i * bands + band) * pixels;
            each_run(key0, key1, numbers[i], band, pixels,
                     [=](const float* deviates, int64_t first, int64_t count) {
                         std::memcpy(target + first, deviates, size_t(count) * sizeof(float));
                     });
        }
    }
}

// out = flux + deviate * sqrt(max(flux, 0) / exposure + background2), all (n, bands, pixels)
// but the last two, which are (n, bands).
void ccd_noise(uint32_t key0, uint32_t key1, const int64_t* numbers, int64_t n,
               int64_t bands, int64_t pixels, const float* flux, const float* exposure,
               const float* background2, float* out) {
    for (int64_t i = 0; i < n; ++i) {
        for (int64_t band = 0; band < bands; ++band) {
            const int64_t image = i * bands + band;
            const float time = exposure[image];
            const float floor = background2[image];
            each_run(key0, key1, numbers[i], band, pixels,
                     [=](const float* deviates, int64_t first, int64_t count) {
                         const float* light = flux + image * pixels + first;
                         float* target = out + image * pixels + first;
                         for (int64_t j = 0; j < count; ++j) {
                             const float positive = light[j] < 0.0f ? 0.0f : light[j];
                             const float variance = positive / time + floor;
                             target[j] = light[j] + deviates[j] * std::sqrt(variance);
                         }
                     });
        }
    }
}

// out = images / scales as half, rounded by 13 random bits; all (n, bands, pixels) but the
// scales, which are (n, bands).
void dither_float16(uint32_t key0, uint32_t key1, const int64_t* numbers, int64_t n,
                    int64_t bands, int64_t pixels, const float* images, const float* scales,
                    uint16_t* out) {
    dither(key0, key1, numbers, n, bands, pixels, images, scales, out,
           [](uint32_t random, float light, float scale) {
               const uint32_t bits = as_bits(light / scale) + (random >> 19);
               return as_half(bits & 0xFFFFE000u);
           });
}

// out = floor(images / scales + a random number in 0..1).
void dither_int16(uint32_t key0, uint32_t key1, const int64_t* numbers, int64_t n,
                  int64_t bands, int64_t pixels, const float* images, const float* scales,
                  int16_t* out) {
    dither(key0, key1, numbers, n, bands, pixels, images, scales, out,
           [](uint32_t random, float light, float scale) {
               const double steps = double(light) / double(scale);
               return int16_t(std::floor(steps + double(random) * 0x1p-32));
           });
}
}
